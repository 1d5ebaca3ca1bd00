"""What readers see: tables, figures, the published numbers beside them, the page and the PDF."""
