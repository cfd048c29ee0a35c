"""What would teach a wrong thing: one file for the rules about each part of a row; `severities` lists them all."""
