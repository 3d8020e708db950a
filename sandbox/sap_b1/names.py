"""Words the company's data is made of. Invented companies; any likeness is chance."""

CITIES = (
    ("Köln", "50667", "DE", "+49 221"),
    ("Düsseldorf", "40213", "DE", "+49 211"),
    ("Wien", "1010", "AT", "+43 1"),
    ("Zürich", "8001", "CH", "+41 44"),
    ("Łódź", "90-001", "PL", "+48 42"),
    ("Lyon", "69001", "FR", "+33 4"),
    ("Málaga", "29001", "ES", "+34 952"),
    ("Eindhoven", "5611", "NL", "+31 40"),
)
SURNAMES = (
    "Becker", "Vogel", "Krueger", "Lindner", "Sommer", "Brandt", "Hartmann", "Kowalski", "Moreau", "Garcia", "Jansen",
    "Novak", "Huber", "Keller", "Winter", "Roth", "Engel", "Busch", "Albrecht", "Seidel",
)  # fmt: skip
FIRST_NAMES = (
    "Anna", "Jonas", "Claire", "Mateusz", "Lena", "Pieter", "Sofia", "Karl", "Ines", "Tobias", "Marta", "Felix",
)  # fmt: skip
TRADES = ("Werkzeuge", "Metallbau", "Gastro", "Elektro", "Logistik", "Möbel", "Papier", "Druck", "Sanitär")
LEGAL = ("GmbH", "AG", "KG", "GmbH & Co. KG", "S.A.S.", "B.V.", "Sp. z o.o.")
GOODS = ("Bolt", "Cable", "Filter", "Valve", "Panel", "Bracket", "Hose", "Lamp", "Gasket", "Switch")
FAMILIES = ("standard", "stainless", "heavy duty", "compact", "outdoor", "12 V", "M8", "DN 50")
