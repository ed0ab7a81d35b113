"""The plain reference of every space."""

from tests.networks import reference, reference_cells, reference_nasbench201, reference_nasbench_macro

REFERENCES = {
    "macro": reference,
    "micro": reference_cells,
    "darts": reference_cells,
    "nasbench201": reference_nasbench201,
    "nasbench_macro": reference_nasbench_macro,
}
