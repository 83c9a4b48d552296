"""Drawing code of broden-mini: canvas, procedural surfaces, things, places and textures."""
