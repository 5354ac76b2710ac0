"""What other libraries get wrong without a word, and what losskit does there."""
