"""The C structures and constants of OSDI 0.4, the interface of compiled Verilog-A models.

Later versions only append: descriptors are strided by OSDI_DESCRIPTOR_SIZE, and the argument of an
evaluation has room to spare.
"""

from __future__ import annotations

from ctypes import POINTER, Structure, c_bool, c_char_p, c_double, c_uint32, c_void_p

TYPE_MASK, INTEGER, STRING = 3, 1, 2
SET, OF_INSTANCE = 1, 4
RESIST, REACT = 4, 8
RESIDUALS_AND_JACOBIANS, NOISE, ANALYSIS_TRAN = 1 | 2 | 4 | 8, 16, 8192
GROUND = 0xFFFFFFFF


class Pair(Structure):
    """Two nodes; 0xffffffff is ground."""

    _fields_ = [("node_1", c_uint32), ("node_2", c_uint32)]


class Entry(Structure):
    """One entry of the Jacobian: which nodes, which parts are there."""

    _fields_ = [("nodes", Pair), ("react_ptr_off", c_uint32), ("flags", c_uint32)]


class Node(Structure):
    """A node or branch current of the model."""

    _fields_ = [
        *((name, c_char_p) for name in ("name", "units", "residual_units")),
        *((name, c_uint32) for name in ("resist", "react", "limit_resist", "limit_react")),
        ("is_flow", c_bool),
    ]


class Parameter(Structure):
    """A parameter and its aliases."""

    _fields_ = [
        ("name", POINTER(c_char_p)),
        ("num_alias", c_uint32),
        ("description", c_char_p),
        ("units", c_char_p),
        ("flags", c_uint32),
        ("len", c_uint32),
    ]


class NoiseSource(Structure):
    """A noise source between two nodes."""

    _fields_ = [("name", c_char_p), ("nodes", Pair)]


class Descriptor(Structure):
    """What a library says about one model."""

    _fields_ = [
        ("name", c_char_p),
        ("num_nodes", c_uint32),
        ("num_terminals", c_uint32),
        ("nodes", POINTER(Node)),
        ("num_jacobian_entries", c_uint32),
        ("jacobian_entries", POINTER(Entry)),
        ("num_collapsible", c_uint32),
        ("collapsible", POINTER(Pair)),
        ("collapsed_offset", c_uint32),
        ("noise_sources", POINTER(NoiseSource)),
        *((name, c_uint32) for name in ("num_noise_src", "num_params", "num_instance_params", "num_opvars")),
        ("param_opvar", POINTER(Parameter)),
        *((name, c_uint32) for name in ("node_mapping_offset", "jacobian_ptr_resist_offset")),
        *((name, c_uint32) for name in ("num_states", "state_idx_off", "bound_step_offset")),
        *((name, c_uint32) for name in ("instance_size", "model_size")),
        *((name, c_void_p) for name in ("access", "setup_model", "setup_instance", "eval", "load_noise")),
        *((name, c_void_p) for name in ("load_residual_resist", "load_residual_react")),
        *((name, c_void_p) for name in ("load_limit_rhs_resist", "load_limit_rhs_react")),
        *((name, c_void_p) for name in ("load_spice_rhs_dc", "load_spice_rhs_tran")),
        *((name, c_void_p) for name in ("load_jacobian_resist", "load_jacobian_react", "load_jacobian_tran")),
        *((name, c_void_p) for name in ("given_flag_model", "given_flag_instance")),
        ("num_resistive", c_uint32),
        ("num_reactive", c_uint32),
        ("write_jacobian_array_resist", c_void_p),
        ("write_jacobian_array_react", c_void_p),
    ]


class SimParas(Structure):
    """What `$simparam` returns: names and values, ended by a null name."""

    _fields_ = [
        ("names", POINTER(c_char_p)),
        ("values", POINTER(c_double)),
        ("names_str", POINTER(c_char_p)),
        ("values_str", POINTER(c_char_p)),
    ]


class SimInfo(Structure):
    """The argument of an evaluation."""

    _fields_ = [
        ("paras", SimParas),
        ("abstime", c_double),
        ("prev_solve", c_void_p),
        ("prev_state", c_void_p),
        ("next_state", c_void_p),
        ("flags", c_uint32),
        ("reserved", c_void_p * 8),  # later versions append here
    ]


class InitInfo(Structure):
    """What a setup reports."""

    _fields_ = [("flags", c_uint32), ("num_errors", c_uint32), ("errors", POINTER(Pair))]
