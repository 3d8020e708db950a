"""The words names and addresses are made of; people and companies are invented."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A city as an address names it."""

    city: str
    state: str
    country: str
    pin: str
    dial: str
    code: int  # state code of a GSTIN; 0 outside India


PLACES = {
    "IN": (
        Place("Bengaluru", "Karnataka", "India", "5600{:02d}", "+91 90000", 29),
        Place("Mumbai", "Maharashtra", "India", "4000{:02d}", "+91 90000", 27),
        Place("Chennai", "Tamil Nadu", "India", "6000{:02d}", "+91 90000", 33),
        Place("Kochi", "Kerala", "India", "6820{:02d}", "+91 90000", 32),
        Place("Kozhikode", "Kerala", "India", "6730{:02d}", "+91 90000", 32),
        Place("Ahmedabad", "Gujarat", "India", "3800{:02d}", "+91 90000", 24),
        Place("New Delhi", "Delhi", "India", "1100{:02d}", "+91 90000", 7),
        Place("Hyderabad", "Telangana", "India", "5000{:02d}", "+91 90000", 36),
        Place("Pune", "Maharashtra", "India", "4110{:02d}", "+91 90000", 27),
        Place("Kolkata", "West Bengal", "India", "7000{:02d}", "+91 90000", 19),
    ),
    "SA": (
        Place("Riyadh", "Riyadh Province", "Saudi Arabia", "125{:02d}", "+966 50 00", 0),
        Place("Jeddah", "Makkah Province", "Saudi Arabia", "234{:02d}", "+966 50 00", 0),
        Place("Dammam", "Eastern Province", "Saudi Arabia", "322{:02d}", "+966 50 00", 0),
        Place("الرياض", "منطقة الرياض", "Saudi Arabia", "126{:02d}", "+966 50 00", 0),
    ),
    "AE": (
        Place("Dubai", "Dubai", "United Arab Emirates", "P.O. Box 53{:02d}", "+971 50 00", 0),
        Place("Sharjah", "Sharjah", "United Arab Emirates", "P.O. Box 21{:02d}", "+971 50 00", 0),
        Place("أبوظبي", "أبوظبي", "United Arab Emirates", "P.O. Box 44{:02d}", "+971 50 00", 0),
    ),
    "QA": (Place("Doha", "Ad Dawhah", "Qatar", "P.O. Box 9{:02d}", "+974 3300", 0),),
    "US": (Place("Springfield", "Illinois", "United States", "627{:02d}", "+1 217 555", 0),),
    "DE": (Place("Köln", "Nordrhein-Westfalen", "Germany", "506{:02d}", "+49 221 0000", 0),),
}
# Region: share of customers in per cent, currencies to choose from (None: the customer has none of its own)
REGIONS: dict[str, tuple[int, tuple[str | None, ...]]] = {
    "IN": (45, ("INR", "INR", "INR", None)),
    "SA": (28, ("SAR", "SAR", "SAR", None)),
    "AE": (15, ("AED", "AED", "USD")),
    "QA": (4, ("QAR", "USD")),
    "US": (5, ("USD",)),
    "DE": (3, ("USD", None)),
}

FIRST = {
    "IN": ("Sri Balaji", "Bharat", "Malabar", "Deccan", "Shree Ganesh", "Nilgiri", "Konkan", "Ganga", "Himalaya",
           "Saraswati", "Royal", "Metro", "New India", "Lotus", "Peacock", "Vijaya", "Annapurna", "Coromandel",
           "श्री गणेश", "भारत", "मलबार", "தமிழ்நாடு", "কলিকাতা", "ശ്രീ മുരുകൻ"),
    "SA": ("Al Noor", "Al Faisaliah", "Najd", "Hijaz", "Al Rawdah", "Tuwaiq", "Al Waha", "Red Sea", "Al Jazirah",
           "النور", "الواحة", "نجد", "الحجاز", "المملكة"),
    "AE": ("Al Manara", "Emirates", "Burj", "Khaleej", "Al Sahel", "Creek", "Falcon", "Oasis", "الخليج", "الصقر"),
    "QA": ("Al Dawhah", "Pearl", "Al Rayyan", "Corniche", "اللؤلؤة"),
    "US": ("Prairie", "Lakeside", "Blue Ridge", "Granite", "Café Olé"),
    "DE": ("Müller", "Schröder", "Jäger", "Größe & Söhne", "Rhein"),
}  # fmt: skip
SECOND = ("Steel", "Textiles", "Spices", "Electricals", "Pharma", "Foods", "Marine", "Ceramics", "Auto Parts", "Timber",
          "Plastics", "Stationery", "Footwear", "Machinery", "Packaging", "Paints", "Optics", "Garments", "Tea",
          "Hardware", "Medical", "Furniture", "Jewels", "Chemicals", "Dairy", "Granites", "Cables", "Toys")  # fmt: skip
THIRD = {
    "IN": ("Pvt Ltd", "Traders", "& Sons", "Enterprises", "Industries", "LLP", "Stores", "Agencies", "ट्रेडर्स"),
    "SA": ("Trading Est.", "Co. Ltd", "Group", "للتجارة", "Contracting", "& Partners"),
    "AE": ("Trading LLC", "FZE", "General Trading LLC", "للتجارة العامة", "FZ-LLC"),
    "QA": ("W.L.L.", "Trading W.L.L.", "للتجارة"),
    "US": ("Inc.", "LLC", "Supply Co."),
    "DE": ("GmbH", "& Söhne KG", "AG"),
}
PEOPLE = {
    "IN": ("Anjali Menon", "Ravi Kumar", "Fathima Rahman", "Suresh Iyer", "Priya Sharma", "Arjun Patel", "दीपक शर्मा",
           "Lakshmi Narayanan", "Mohammed Ashraf", "Kavita Rao", "ரவி குமார்", "Gurpreet Singh"),
    "SA": ("Khalid Al-Otaibi", "Noura Al-Qahtani", "Faisal Al-Harbi", "سارة العتيبي", "محمد الحربي", "Omar Al-Ghamdi"),
    "AE": ("Ahmed Al-Mansoori", "Mariam Al-Suwaidi", "Rashid Al-Ketbi", "فاطمة المنصوري", "Sanjay Nair"),
    "QA": ("Hamad Al-Thani", "Maryam Al-Kuwari", "Joseph Mathew"),
    "US": ("Dana O’Neil", "Zoë Smith", "Lee Brown"),
    "DE": ("Jürgen Weiß", "Änne Groß", "Søren Kühn"),
}  # fmt: skip
STREETS = {
    "IN": ("MG Road", "Station Road", "Gandhi Nagar", "Market Street", "Old Fort Lane", "Industrial Estate Phase II"),
    "SA": ("King Fahd Road", "Olaya Street", "Prince Sultan Street", "شارع الملك فهد", "Tahlia Street"),
    "AE": ("Sheikh Zayed Road", "Al Wahda Street", "Al Maktoum Road", "شارع الشيخ زايد"),
    "QA": ("Al Corniche Street", "Salwa Road"),
    "US": ("Elm Street", "Main Street"),
    "DE": ("Hauptstraße", "Domgäßchen"),
}
INDUSTRIES = ("Retail & Wholesale", "Manufacturing", "Pharmaceuticals", "Food, Beverage & Tobacco", "Textile", None)

ITEM_KINDS = (
    # code, group, unit, HSN chapter, names, price range in whole rupees
    ("SPC", "Products", "Kg", "090411",
     ("Black Pepper", "Cardamom 8 mm", "Clove", "हल्दी Turmeric", "الزعفران Saffron"), (200, 9000)),
    ("TEX", "Products", "Nos", "520811", ("Cotton Sheet", "Silk Saree “Kanchi”", "Linen Shirt", "Towel 70×140"),
     (150, 12000)),
    ("ELE", "Products", "Nos", "853650", ("Switch 6A", "LED Bulb 9W", "MCB 32A", "Cable 2.5 mm² (90 m)", "Fan 1200 mm"),
     (25, 4500)),
    ("HDW", "Products", "Box", "731815", ("Hex Bolt M8×40", "Hinge 4\"", "Wood Screw", "Padlock 50 mm", "Gewinde"),
     (15, 1800)),
    ("CHM", "Raw Material", "Litre", "281511", ("Caustic Soda 50 %", "H₂O₂ 35 %", "Isopropanol", "Wasserglas"),
     (40, 700)),
    ("PKG", "Consumable", "Nos", "481910", ("Carton 3-ply", "Bubble Wrap 1 m", "Tape 48 mm", "صندوق كرتون"), (5, 400)),
    ("SRV", "Services", "Hour", "998311", ("Consulting", "Installation", "Training", "Wartung"), (500, 6000)),
)  # fmt: skip
SIZES = ("S", "M", "L", "XL", "500 g", "1 kg", "5 kg", "blue", "red", "grün", "أسود", "premium", "economy", "set of 6")
BRANDS = ("Malabar Select", "Tuwaiq", "Blaustein", "नीलगिरी", None, None)
