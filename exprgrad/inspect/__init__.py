"""Ways to see a program: as mathematics, as a picture, stage by stage."""
