"""Result tables in; checked, comparable scores out."""
