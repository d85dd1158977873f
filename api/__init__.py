"""zcsr in Python: searches, tasks and programs as objects, on the store of the commands; `zcsr` exports them."""
