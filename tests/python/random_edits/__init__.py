"""Random edits of random modules, compared with a fresh import after every save.

`program.py` makes two modules and edits them, `picture.py` describes what a module
defines and does, `worker.py` does both in a process with the engine, next to one
without. `../test_random_edits.py` starts it and shrinks what it finds.
"""
