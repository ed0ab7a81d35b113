"""The plain reference of every space but macro."""

from tests.networks import reference_cells, reference_nasbench201, reference_nasbench_macro

REFERENCES = {
    "micro": reference_cells,
    "darts": reference_cells,
    "nasbench201": reference_nasbench201,
    "nasbench_macro": reference_nasbench_macro,
}
