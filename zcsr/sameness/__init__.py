"""When two programs are one: normal form, sympy form, fingerprint."""
