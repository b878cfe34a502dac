"""What every room of the house uses: errors, progress, noise, optional imports. Imports nothing of ours."""
