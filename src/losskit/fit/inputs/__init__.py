"""What users pass, as numbers: tables to matrices, targets to what a loss takes."""
