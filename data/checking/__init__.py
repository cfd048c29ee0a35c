"""What data.check tells of rows: figures, coverage, advice, and how the terminal and the page show them."""
