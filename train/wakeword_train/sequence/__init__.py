"""What the recipes for sequence models share: fitting, results and their table, export."""
