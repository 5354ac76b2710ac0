"""Write the tables of predictors beside this file, to fit models on.

Run `python examples/data/make_tables.py` with the `[dev]` extra; README.md names the sources.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from sklearn.datasets import load_breast_cancer

HERE = Path(__file__).parent


def breast_cancer() -> pd.DataFrame:
    """Return thirty measurements of cell nuclei in tumours, and each tumour's diagnosis."""
    data = load_breast_cancer(as_frame=True)
    table = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    return table.assign(diagnosis=data.target_names[data.target])


def doctor_visits() -> pd.DataFrame:
    """Return the yearly visits to a doctor, and what may move them: insurance plan and health.

    The rows are those of doctor_visits_predictions.csv; logarithms of dollars are the source's.
    """
    data = sm.datasets.randhie.load_pandas().data.iloc[::3].reset_index(drop=True)
    health = data[["hlthg", "hlthf", "hlthp"]].to_numpy()
    names = np.array(["excellent", "good", "fair", "poor"])
    return pd.DataFrame(
        {
            "visits": data["mdvis"].astype(int),
            "coinsurance": np.expm1(data["lncoins"]).round().astype(int),
            "individual_deductible": data["idp"].astype(int),
            "log_incentive": data["lpi"],
            "log_maximum_expenditure": data["fmde"],
            "physical_limitation": data["physlm"],
            "chronic_diseases": data["disea"],
            "health": names[np.where(health.any(axis=1), health.argmax(axis=1) + 1, 0)],
        }
    )


if __name__ == "__main__":
    # The digits of the sources (six of logarithms), without what binary fractions add to them.
    breast_cancer().to_csv(HERE / "breast_cancer.csv", index=False, lineterminator="\n")
    doctor_visits().to_csv(
        HERE / "doctor_visits.csv", index=False, float_format="%.6g", lineterminator="\n"
    )
