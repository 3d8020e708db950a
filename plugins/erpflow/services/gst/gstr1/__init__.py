"""GSTR-1, the return of outward supplies: documents in, the portal's JSON out. Pure: no I/O, every amount a Decimal."""
