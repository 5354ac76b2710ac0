"""The articles' worked examples, with the true numbers of articles.md §4."""
