"""Words for a believable company between the Alps and the Adriatic."""

from typing import Final

FIRST: Final = (
    "Ana", "Luka", "Maja", "Marko", "Nina", "Jure", "Petra", "Tomaž", "Eva", "Matej", "Katja", "Andrej", "Žiga",
    "Giulia", "Marco", "Chiara", "Paolo", "Anna", "Lukas", "Katharina", "Stefan", "Ivana", "Goran", "Ema", "Filip",
)  # fmt: skip
LAST: Final = (
    "Novak", "Horvat", "Krajnc", "Zupančič", "Kovačič", "Potočnik", "Mlakar", "Vidmar", "Golob", "Božič", "Rossi",
    "Bianchi", "Colombo", "Gruber", "Huber", "Wagner", "Steiner", "Marić", "Babić", "Jurić", "Čeh", "Šubic", "Žagar",
)  # fmt: skip
TRADES: Final = (
    "Trade", "Logistika", "Gradnje", "Inženiring", "Systems", "Foods", "Electronics", "Textile", "Marine", "Print",
    "Energetika", "Consulting", "Pharma", "Agro", "Lesna industrija",
)  # fmt: skip
FORMS: Final = ("d.o.o.", "d.d.", "s.p.", "S.r.l.", "GmbH")
PLACES: Final = (
    ("Ljubljana", "Osrednjeslovenska", "1000", "Slovenia", "+386 1"),
    ("Maribor", "Podravska", "2000", "Slovenia", "+386 2"),
    ("Koper", "Obalno-kraška", "6000", "Slovenia", "+386 5"), ("Celje", "Savinjska", "3000", "Slovenia", "+386 3"),
    ("Trieste", "Friuli-Venezia Giulia", "34121", "Italy", "+39 040"),
    ("Udine", "Friuli-Venezia Giulia", "33100", "Italy", "+39 0432"),
    ("Graz", "Steiermark", "8010", "Austria", "+43 316"), ("Klagenfurt", "Kärnten", "9020", "Austria", "+43 463"),
    ("Zagreb", "Grad Zagreb", "10000", "Croatia", "+385 1"),
    ("Rijeka", "Primorsko-goranska", "51000", "Croatia", "+385 51"),
)  # fmt: skip
STREETS: Final = ("Slovenska cesta", "Dunajska cesta", "Via Carducci", "Hauptplatz", "Ilica", "Korzo", "Tržaška cesta")
INDUSTRIES: Final = ("Manufacturing", "Retail", "Logistics", "Construction", "Food", "Energy", "Services")
SOURCES: Final = ("Web Research", "Trade Show", "Partner", "Cold Call", "Employee Referral", "Advertisement")
THINGS: Final = (
    "Bearing", "Valve", "Cable drum", "Pump", "Filter", "Sensor", "Label roll", "Pallet", "Gasket", "Drive belt",
    "Control unit", "Lamp", "Switch", "Hose", "Battery pack",
)  # fmt: skip
CATEGORIES: Final = ("Hardware", "Electronics", "Packaging", "Spare parts")
UNITS: Final = ("Pieces", "Box", "Meter", "Kilogram")
STAGES: Final = (
    ("Qualification", 10), ("Needs Analysis", 20), ("Proposal/Price Quote", 75), ("Negotiation/Review", 90),
    ("Closed Won", 100), ("Closed Lost", 0),
)  # fmt: skip
ORDER_STATES: Final = ("Created", "Approved", "Delivered", "Cancelled")
INVOICE_STATES: Final = ("Created", "Approved", "Delivered", "Cancelled")
LEAD_STATES: Final = ("Attempted to Contact", "Contact in Future", "Contacted", "Junk Lead", "Not Contacted")
TITLES: Final = ("Director", "Buyer", "Head of Purchasing", "Accountant", "Technician", "Owner")

HOSTILE_NAMES: Final = (
    "HOSTILE <script>alert('x')</script> & Co.",
    'HOSTILE "quotes" and \\ backslash \\" end',
    "HOSTILE שלום עולם \u202eright to left\u202c",
    "HOSTILE 🎈👩\u200d👩\u200d👧 \U0001d54f",
    "HOSTILE '; DROP TABLE customers; --",
    "HOSTILE %s {0} ${x} {{ x }}",
    "HOSTILE =cmd|' /C calc'!A0",
    "HOSTILE Łódź Żółć, Müller & Söhne",
    "HOSTILE " + "very long " * 18,
    "HOSTILE null",
)
NUL: Final = "HOSTILE nul \0 character"
