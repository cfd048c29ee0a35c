"""From row files to the rows of a run, stage by stage; `data.preparation.stages` has their order."""
