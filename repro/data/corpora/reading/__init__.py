"""How files of text become documents."""
