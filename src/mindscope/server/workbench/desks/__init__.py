"""What the pages of the workbench ask for, a desk to a page: routes, what they tell, and what they start."""
