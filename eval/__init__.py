"""How good the answers are: retrieval, citations, abstention, the check of markers; with a baseline to compare with."""
