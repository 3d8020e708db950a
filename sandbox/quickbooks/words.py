"""The words names and addresses are made of; people and companies are invented."""

FIRST = ("Amber", "Birch", "Cedar", "Dogwood", "Elder", "Fern", "Glen", "Hazel", "Ivy", "Juniper", "Kestrel", "Linden",
         "Maple", "Nettle", "Oak", "Poplar", "Quince", "Rowan", "Sorrel", "Thistle", "Umber", "Verbena", "Willow",
         "Yarrow", "Zinnia", "Crème", "Niño", "Ångström")  # fmt: skip
SECOND = ("Landscaping", "Nursery", "Builders", "Interiors", "Catering", "Dental", "Realty", "Brewing", "Motors",
          "Design", "Plumbing", "Bakery", "Fitness", "Pools", "Roofing", "Gardens", "Legal", "Veterinary", "Toys",
          "Cleaning")  # fmt: skip
THIRD = ("LLC", "Inc.", "& Sons", "Co.", "Group", "Partners", "Studio", "PC")
GIVEN = ("Dana", "Zoë", "Lee", "Maria", "Kwame", "Priya", "John", "Ana", "Søren", "Grace", "Omar", "Yuki", "Ruth",
         "Siobhán", "Ivan", "Noor")  # fmt: skip
FAMILY = ("O’Neil", "Smith", "Brown", "García", "Mensah", "Sharma", "Lee", "Kühn", "Hopper", "Al-Farsi", "Tanaka",
          "Cohen", "Murphy", "Petrov", "Rahman", "Nguyen")  # fmt: skip
STREETS = ("Main Street", "Oak Avenue", "2nd Street", "Sunset Boulevard", "Mill Road", "Harbor Drive", "Elm Court")
CITIES = (("Bayshore", "CA", "94326"), ("Middlefield", "CA", "94303"), ("South Orange", "NJ", "07079"),
          ("Tucson", "AZ", "85719"), ("Half Moon Bay", "CA", "94213"), ("Monlo Park", "CA", "94304"),
          ("Freeport", "ME", "04032"), ("Boulder", "CO", "80302"))  # fmt: skip
MATERIALS = ("Oak", "Pine", "Steel", "Granite", "Bamboo", "Terracotta", "Copper", "Slate", "Cedar", "Concrete", "Glass")
THINGS = ("Planter", "Bench", "Trellis", "Lantern", "Fountain", "Paver", "Gate", "Birdbath", "Arbor", "Table", "Edging",
          "Shed", "Hammock", "Fire Pit")  # fmt: skip
SERVICES = ("Design", "Installation", "Pruning", "Weekly Care", "Lighting", "Irrigation", "Pest Control", "Hauling")
NOTES = ("", "Leave at the gate.", "Call before delivery.", "Net 30, no reminders.", "Prefers e-mail.")
