"""Linear models of tables in files: `losskit.fit_table` and `losskit.predict_table`."""

from losskit.tabular.fitting import fit_table
from losskit.tabular.predicting import predict_table
from losskit.tabular.results import Coefficient, Rows, Score, TableFit, TablePredictions

__all__ = [
    "Coefficient",
    "Rows",
    "Score",
    "TableFit",
    "TablePredictions",
    "fit_table",
    "predict_table",
]
