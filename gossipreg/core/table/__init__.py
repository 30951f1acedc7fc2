"""What is known: rows and their content, the table, and the membership index (ring, catalog) that follows it."""
