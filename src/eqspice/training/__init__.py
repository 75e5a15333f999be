"""Tasks, experiments, run folders and the trainer."""
