"""What lies in the folder of a report under which name."""

INDEX, MANIFEST = "README.md", "report.json"
TABLES, FIGURES = "tables", "figures"
