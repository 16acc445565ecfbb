"""Restores the table of a deployment to an earlier time, without the return of an erased user."""
