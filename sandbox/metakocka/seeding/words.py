"""The words names and addresses are made of; people and companies are invented."""

CITIES = (
    ("Ljubljana", "1000"), ("Maribor", "2000"), ("Celje", "3000"), ("Kranj", "4000"), ("Koper", "6000"),
    ("Novo mesto", "8000"), ("Velenje", "3320"), ("Ptuj", "2250"), ("Trbovlje", "1420"), ("Nova Gorica", "5000"),
    ("Murska Sobota", "9000"), ("Škofja Loka", "4220"), ("Čabar", "51306"), ("Žalec", "3310"),
)  # fmt: skip
ABROAD = (
    ("Zagreb", "10000", "Hrvaška"), ("Graz", "8010", "Avstrija"), ("Trst", "34121", "Italija"),
    ("Beograd", "11000", "Srbija"), ("München", "80331", "Nemčija"), ("Sarajevo", "71000", "Bosna in Hercegovina"),
)  # fmt: skip
HOME = "Slovenija"
STREETS = ("Slovenska cesta", "Tehnološki park", "Dunajska cesta", "Čebelarska ulica", "Partizanska cesta",
           "Žabja vas", "Obrtniška ulica", "Savska cesta", "Na Griču", "Šolska ulica")  # fmt: skip
FIRST = ("Alpin", "Sončni", "Triglav", "Drava", "Kras", "Lipa", "Gorjanci", "Zeleni", "Jadran", "Čebela", "Železnina",
         "Pekarna", "Vinska klet", "Planina", "Mlin", "Kamnolom", "Šumi", "Bistrica", "Beli")  # fmt: skip
SECOND = ("les", "plast", "market", "servis", "trade", "inženiring", "gradnje", "oprema", "logistika", "tekstil",
          "elektro", "kmetija", "tehnika", "papir", "steklo", "orodja")  # fmt: skip
FORMS = ("d.o.o.", "d.o.o.", "d.o.o.", "s.p.", "d.d.", "d.n.o.", "& Co. d.o.o.")
NAMES = ("Jaka", "Maja", "Rok", "Špela", "Luka", "Živa", "Anže", "Nina", "Matej", "Črt", "Eva", "Gašper")
SURNAMES = ("Novak", "Horvat", "Kovačič", "Krajnc", "Zupan", "Potočnik", "Mlakar", "Žagar", "Čeh", "Šuštar", "Vidmar")

KINDS = (
    # code, category, unit, names, tax, price range in euros, weight in kilograms
    ("ORO", "Orodja", "kos", ("Kladivo 500 g", "Izvijač PH2", "Klešče 180 mm", "Žaga 400 mm"), "EX4", (4, 60), "0.65"),
    ("VIJ", "Pritrdilni material", "kpl", ("Vijak M8", "Matica M8", "Podložka Ø8", "Žebelj 60"), "EX4", (1, 9), "1.2"),
    ("MED", "Živila", "kg", ("Cvetlični med", "Gozdni med", "Čebelji vosek", "Propolis"), "EX3", (6, 45), "1"),
    ("PAP", "Pisarna", "kos", ("Papir A4", "Mapa", "Kuverta C5", "Žepni koledar"), "EX4", (0, 20), "2.35"),
    ("TEK", "Tekstil", "kos", ("Delovna majica", "Rokavice", "Jopič »Triglav«", "Kapa"), "EX4", (5, 120), "0.4"),
    ("LES", "Gradbeni material", "m2", ("Smrekova deska", "Vezana plošča", "Parket hrast"), "EX4", (8, 95), "7.3"),
    ("OLJ", "Živila", "l", ("Bučno olje", "Oljčno olje Istra"), "EX3", (7, 22), "0.92"),
    ("STR", "Storitve", "ura", ("Montaža", "Svetovanje", "Dostava na dom", "Vzdrževanje"), "EX4", (20, 90), None),
)  # fmt: skip
SIZES = ("S", "M", "L", "XL", "rdeča", "modra", "zelena", "250 g", "1 kg", "akcija", "komplet", "premium")
DELIVERIES = ("Pošta Slovenije", "GLS", "DPD", "Lasten prevzem")
PAYMENTS = ("Transakcijski račun", "PayPal", "Gotovina", "Kartica")
NOTES = (None, None, None, "Dostava dopoldne.", "Pokličite pred dostavo.", "Račun po e-pošti, prosim.")
