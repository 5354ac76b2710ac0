"""Linear models as scikit-learn knows them: `classes` has the four, `models` what they share."""
