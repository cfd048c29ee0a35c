"""One file for each layout that tool-calling traces are found in; `data.layouts.detection` lists them."""
