"""How many made-up identifiers of four countries are found: all with check digits, most names."""

import random

import pandas as pd
import pytest

from fedsynth_common.identifiers.check_digits import is_german_tax_id
from fedsynth_common.identifiers.findings import findings
from fedsynth_common.identifiers.headings import names_a_person
from fedsynth_common.schema import CategoricalColumn, IntegerColumn

RNG = random.Random(0)
COLUMN = CategoricalColumn(name="note", categories=("a", "b"))


def kinds(texts, column=COLUMN):
    return {found.kind for found in findings(column, pd.Series(texts, dtype="str"))}


def digits(count, first="123456789"):
    return RNG.choice(first) + "".join(RNG.choice("0123456789") for _ in range(count - 1))


def luhn(body):
    doubled = [sum(divmod(2 * int(d), 10)) for d in body[::-2]]
    return body + str(-(sum(doubled) + sum(int(d) for d in body[-2::-2])) % 10)


def nhs():
    while True:
        body = digits(9)
        check = -sum(w * int(d) for w, d in zip(range(10, 1, -1), body, strict=True)) % 11
        if check < 10:
            return f"{body[:3]} {body[3:6]} {body[6:]}{check}"


def bsn():
    while True:
        body = digits(8)
        check = sum(w * int(d) for w, d in zip(range(9, 1, -1), body, strict=True)) % 11
        if check < 10:
            return body + str(check)


def german_tax_id():
    free = RNG.sample("0123456789", 9)  # nine different digits, one of which stands twice
    body = "".join([*free, RNG.choice(free)])
    body, product = "".join(RNG.sample(body, 10)), 10
    if body[0] == "0":
        return german_tax_id()
    for digit in body:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return body + str((11 - product) % 10)


def nir():
    body = RNG.choice("12") + digits(12)
    return f"{body} {97 - int(body) % 97:02}"


def ahv():
    body = "756" + digits(9)
    check = -sum(int(d) * (3 if k % 2 else 1) for k, d in enumerate(body)) % 10
    return f"756.{body[3:7]}.{body[7:11]}.{body[11]}{check}"


def iban(country, length, bank=""):
    account = bank + digits(length)
    code = "".join(str(int(mark, 36)) for mark in f"{account}{country}00")
    return f"{country}{98 - int(code) % 97:02}{account}"


def codice_fiscale():
    consonants, months = "BCDFGLMNPRSTVZ", "ABCDEHLMPRST"
    body = "".join(RNG.choice(consonants) for _ in range(6)) + digits(2) + RNG.choice(months)
    body += f"{RNG.randrange(1, 29):02}{RNG.choice('ABCDEFGHIL')}{digits(3)}"
    odd = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True))
    values = (
        1,
        0,
        5,
        7,
        9,
        13,
        15,
        17,
        19,
        21,
        2,
        4,
        18,
        20,
        11,
        3,
        6,
        8,
        12,
        14,
        16,
        10,
        22,
        25,
        24,
        23,
    )
    odd |= dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", values, strict=True))
    total = sum(odd[mark] for mark in body[::2])
    total += sum(int(m) if m.isdigit() else ord(m) - 65 for m in body[1::2])
    return body + chr(65 + total % 26)


def uuid():
    mark = f"{RNG.getrandbits(128):032x}"
    return "-".join((mark[:8], mark[8:12], mark[12:16], mark[16:20], mark[20:]))


MADE = {
    "e-mail": lambda: (
        f"{RNG.choice(['m.rossi', 'j_müller', 'anne-marie'])}{digits(2)}@posta.example.it"
    ),
    "phone it": lambda: f"+39 02 {digits(4)} {digits(4)}",
    "phone de": lambda: f"+49 (0)30 {digits(4)}-{digits(3)}",
    "phone fr": lambda: f"01 {digits(2)} {digits(2)} {digits(2)} {digits(2)}",
    "phone uk": lambda: f"020 {digits(4)} {digits(4)}",
    "phone us": lambda: f"({digits(3)}) {digits(3)}-{digits(4)}",
    "ssn": lambda: f"{digits(3)}-{digits(2)}-{digits(4)}",
    "codice fiscale": codice_fiscale,
    "NHS number": nhs,
    "BSN": bsn,
    "German tax id": german_tax_id,
    "NIR": nir,
    "AHV": ahv,
    "IBAN de": lambda: iban("DE", 18),
    "IBAN nl": lambda: iban("NL", 10, "ABNA"),
    "card": lambda: luhn("4" + digits(14)),
    "UUID": uuid,
    "IPv4": lambda: f"{RNG.randrange(10, 256)}.{RNG.randrange(10, 256)}.{RNG.randrange(256)}.7",
    "IPv6": lambda: ":".join(f"{RNG.getrandbits(16):x}" for _ in range(8)),
}


@pytest.mark.parametrize("name", list(MADE))
def test_identifiers_are_found_with_as_many_ordinary_values_beside_them(name):
    made = [MADE[name]() for _ in range(100)]
    if name != "BSN":  # nine digits and no more say nothing until most of a column has them
        assert all(kinds(["a"] * 9 + ["b"] * 9 + [text]) for text in made[:12])
    repeated = [text for text in made for _ in range(3)] + ["a", "b"] * 300
    assert kinds(repeated)
    assert not any(text in str(kinds(repeated)) for text in made)


@pytest.mark.parametrize("name", ["NHS number", "BSN", "German tax id", "NIR", "AHV", "card"])
def test_bare_numbers_are_found_although_people_come_back(name):
    numbers = ["".join(m for m in MADE[name]() if m.isdigit()) for _ in range(100)] * 4
    column = IntegerColumn(name="score", minimum=0, maximum=2**50)
    assert kinds(numbers, column)
    typed = pd.Series([int(text) for text in numbers])
    assert findings(column, typed)


def test_random_numbers_of_eleven_digits_are_not_taken_for_tax_ids():
    random = [digits(11) for _ in range(5000)]
    assert sum(map(is_german_tax_id, random)) < 50  # 0.4 %; the check digit alone lets 10 % pass
    assert "national ids" not in kinds([f"lot {number}" for number in random])


def test_long_amounts_are_left_alone():
    column = IntegerColumn(name="amount", minimum=0, maximum=2**50)
    assert kinds([str(10**9 + 1000 * RNG.randrange(300)) for _ in range(2000)], column) == set()
    assert kinds([str(RNG.randrange(10**6)) for _ in range(2000)], column) == set()


PEOPLE = {
    "en": "James Smith;Mary Johnson;Robert Brown;Patricia Davis;John O'Neill;Emily Clark;Jack Evans",
    "it": "Mario Rossi;Giulia Ferrari;Luca Esposito;Francesca Bianchi;Antonio Ricci;Rita D'Angelo",
    "de": "Hans Müller;Ursula Schmidt;Jürgen Weber;Petra Wagner;Klaus-Peter Becker;Dr. Anna Koch",
    "fr": "Jean Dupont;Marie Lefèvre;Hélène Moreau;François Petit;Jean-Luc Simon;Sylvie Garnier",
}


@pytest.mark.parametrize("language", list(PEOPLE))
def test_names_of_people_are_found(language):
    people = PEOPLE[language].split(";")
    for form in (people, [" ".join(reversed(person.split())) for person in people]):
        assert "personal names" in kinds(form * 30)
        assert "personal names" in kinds(form * 30 + ["unknown", "none"] * 20)


@pytest.mark.parametrize(
    "texts",
    [
        ["Rose", "Martin", "Mark", "Grace", "Carol", "Frank"],
        ["St Mary", "General Hospital", "Royal Infirmary", "Charité", "Ospedale Maggiore"],
        [
            "Rose Bengal",
            "Congo Red",
            "Alcian Blue",
            "Giemsa",
            "Gram",
            "Masson Trichrome",
            "Nile Red",
        ],
        ["Emergency Room", "Physician Referral", "Clinic Referral", "Court Enforcement"],
    ],
)
def test_words_that_are_names_too_are_left_alone(texts):
    assert kinds(texts * 30) == set()


@pytest.mark.parametrize(
    "heading",
    [
        "Codice Fiscale",
        "codice_fiscale",
        "Cognome",
        "data di nascita",
        "Indirizzo",
        "tessera-sanitaria",
        "Nachname",
        "Geburtsdatum",
        "Straße",
        "Krankenversichertennummer",
        "Prénom",
        "date_de_naissance",
        "Numéro Sécu",
        "téléphone",
        "NHS Number",
        "Fecha de nacimiento",
    ],
)
def test_headings_of_four_languages(heading):
    assert names_a_person(heading)


@pytest.mark.parametrize(
    "heading",
    ["reparto", "Diagnose", "Alter", "âge", "pression artérielle", "esito", "Aufnahmegrund"],
)
def test_headings_that_name_nobody(heading):
    assert not names_a_person(heading)
