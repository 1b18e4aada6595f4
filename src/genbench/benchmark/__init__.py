"""The families side by side: a matrix of cells, its leaderboard and its report."""
