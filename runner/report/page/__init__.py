"""What a page shows of a database: experiments, their plan and tables as they fill, curves."""
