def many_units(units: int = 40) -> Dissection:
    """More units than one sheet of cards holds."""
    cells = random_cells(units=units)
    return dissection(cells, NAMES, shown=shown(units))
