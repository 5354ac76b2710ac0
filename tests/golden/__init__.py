"""The generated text of every loss in every backend, kept so that each change of it is reviewed."""
