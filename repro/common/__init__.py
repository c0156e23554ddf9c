"""What every room needs: errors, files that are whole, locks."""
