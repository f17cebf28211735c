# SPDX-License-Identifier: Apache-2.0
"""Word pools of the generator. Their lengths are powers of two, so that bits pick from them."""
import datetime

# 64 x 64 x 8 company names before a number is needed. Letters beyond ASCII on purpose.
FIRST = (
    "Nordwind Alpen Blue Granite Söder Île Copper River Harbour Öresund Meadow Falcon Amber Boreal "
    "Cedar Delta Ember Fjord Glacier Horizon Indigo Juniper Keystone Lagoon Maple Nimbus Orchard Prairie "
    "Quartz Ridge Silver Tundra Umber Valley Willow Xenon Yarrow Zephyr Basalt Cobalt Dune Estuary "
    "Fern Grove Heather Iris Jade Kelp Linden Moss Nectar Onyx Pebble Quill Reed Sable Thistle Upland "
    "Violet Wharf Ypsilon Zinc Æther Ñandú").split()
SECOND = (
    "Logistics Foods Textiles Optics Energy Tools Shipping Paper Software Robotics Glass Motors "
    "Chemicals Ceramics Lighting Printing Plastics Machines Metals Timber Farming Dairy Bakery Travel "
    "Hotels Media Games Sports Books Music Films Design Fashion Shoes Leather Jewels Watches Toys "
    "Gardens Flowers Seeds Grain Coffee Tea Spices Wine Water Air Rail Freight Couriers Bikes "
    "Boats Planes Rockets Sensors Signals Networks Data Cloud Labs Pharma Clinics Optik").split()
FORM = ("GmbH", "Ltd", "Inc.", "S.A.", "& Söhne", "AB", "株式会社", "d'Or SARL")

GIVEN = (
    "Ana Björn Chloé Dagny Émile Freya Goran Håkon Ines Jörg Katya Lars Mía Niamh Oskar Petra "
    "Quirin Rosa Søren Tove Ulla Vera Wanda Xavi Yara Zoë Aiko Bruno Cleo Dario Elif Faye").split()
FAMILY = (
    "Abel Brandt Castro Dubois Eriksen Fischer García Hansen Ivanova Jensen Kovač Lindgren Møller Novák "
    "O'Hara Peeters Quist Rossi Schäfer Thörn Urban Vogel Weiß Xu Yılmaz Zieliński Aalto Berg Costa "
    "D'Arcy Engel Fuchs Gruber Holm Iversen Jansen Kraus Larsen Moreau Nagy Olsen Pohl Quade Richter "
    "Smith-Jones Tanaka Ueda Vidal Wolff Xander York Zhang Adler Bauer Clark Diaz Evans Ferrari Gomes "
    "Hoffmann Ito Jonsson König Lopes").split()

# city, state, country, first digits of the postal code
PLACE = (
    ("Zürich", "ZH", "Switzerland", "80"), ("Hamburg", "HH", "Germany", "20"),
    ("Lyon", "Rhône", "France", "69"), ("Malmö", "Skåne", "Sweden", "21"),
    ("Kraków", "Małopolska", "Poland", "30"), ("Porto", "Norte", "Portugal", "40"),
    ("Austin", "TX", "USA", "787"), ("Denver", "CO", "USA", "802"),
    ("St. John's", "NL", "Canada", "A1"), ("München", "BY", "Germany", "80"),
    ("大阪市", "大阪府", "Japan", "530"), ("Łódź", "Łódzkie", "Poland", "90"),
    ("Cork", None, "Ireland", "T12"), ("Ghent", "East Flanders", "Belgium", "90"),
    ("São Paulo", "SP", "Brazil", "01"), ("Reykjavík", None, "Iceland", "1"))
STREET = ("Main Street", "Hauptstraße", "Rue de l'Église", "Storgatan", "Avenida Central", "Mill Lane",
          "Bahnhofplatz", "Ulica Długa")

INDUSTRY = ("Banking", "Biotechnology", "Chemicals", "Construction", "Consulting", "Education", "Energy",
            "Engineering", "Finance", "Healthcare", "Insurance", "Machinery", "Media", "Retail",
            "Technology", "Utilities")
ACCOUNT_TYPE = ("Customer", "Customer", "Prospect", "Partner", "Reseller", "Competitor", "Investor", "Other")
RATING = ("Hot", "Warm", "Cold", None)
OWNERSHIP = ("Private", "Public", None, None)
TIER = ("Bronze", "Silver", "Gold", "Platinum")
SALUTATION = ("Mr.", "Ms.", "Dr.", None)
TITLE = ("Buyer", "Engineer", "Head of Purchasing", "Clerk", "Director", "VP Sales", "Geschäftsführerin", None)
DEPARTMENT = ("Purchasing", "Sales", "IT", "Legal", "Production", "Finance", "R&D", None)
SOURCE = ("Cold Call", "Existing Customer", "Partner", "Trade Show", "Web Site", "Word of mouth", "Other", None)
LEAD_STATUS = ("New", "Assigned", "In Process", "Recycled", "Dead", "New", "Assigned", "In Process")
# stage, probability
STAGE = (("Prospecting", 10), ("Qualification", 20), ("Needs Analysis", 25), ("Value Proposition", 30),
         ("Proposal/Price Quote", 65), ("Negotiation/Review", 80), ("Closed Won", 100), ("Closed Lost", 0))
CASE_TYPE = ("User", "Product", "Administration", "User")
# status, state
CASE_STATUS = (("Open_New", "Open"), ("Open_Assigned", "Open"), ("Open_Pending Input", "Open"),
               ("Closed_Closed", "Closed"), ("Closed_Rejected", "Closed"), ("Closed_Duplicate", "Closed"),
               ("Open_New", "Open"), ("Open_Assigned", "Open"))
PRIORITY = ("P1", "P2", "P2", "P3")
TROUBLE = ("Printer does not print", "Login fails", "Invoice is wrong", "Delivery is late",
           "Prüfung der Lieferung", "Question about \"terms\"", "Part 7\\8 missing", "Price < list price?")
CALL_STATUS = ("Planned", "Held", "Held", "Not Held")
ROLE = ("Primary Decision Maker", "Business Evaluator", "Technical Decision Maker", None)
MIME = ("application/pdf", "image/png", "text/plain", None)
PROSE = (
    None, None, None, None, None,
    "Met at the trade show; wants an offer by the end of the quarter.",
    "Line one\nline two\ttabbed\nline \"three\" with 'quotes' and a back\\slash.",
    "Rückruf erbeten – naïve façade, 5 € je Stück; 客様.")

DAYS = tuple((datetime.date(2015, 1, 1) + datetime.timedelta(n)).isoformat() for n in range(4096))
TIMES = tuple(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(0, 65536))
BIRTHDAYS = tuple((datetime.date(1940, 1, 1) + datetime.timedelta(5 * n)).isoformat() for n in range(4096))
