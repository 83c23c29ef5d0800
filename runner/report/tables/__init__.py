"""Tables: queried, laid out, printed in each format."""
