"""Direct identifiers are found in headings, categories and texts; ordinary columns are left alone."""

import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsynth_common.identifiers.check_digits import is_card_number, is_iban
from fedsynth_common.identifiers.findings import findings
from fedsynth_common.identifiers.headings import names_a_person
from fedsynth_common.identifiers.patterns import PATTERNS
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, IntegerColumn
from fedsynth_common.tables import read_table
from fedsynth_release.drafting.draft import draft_schema

DATA = Path(__file__).parents[4] / "shared" / "data"


def column(name="ward", categories=("a", "b")):
    return CategoricalColumn(name=name, categories=categories)


def kinds(texts, declared=None):
    found = findings(declared or column(), pd.Series(texts, dtype="str"))
    return {(finding.kind, finding.place) for finding in found}


COMMON = ["a"] * 100  # the column's ordinary values
EXAMPLES = {
    "e-mail addresses": ["jane.doe@example.org", "write to j@x-y.co.uk today"],
    "web addresses": ["https://example.org/jane"],
    "IBANs": ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "NL91ABNA0417164300"],
    "card numbers": ["4111111111111111", "5500 0000 0000 0004", "3400-0000-0000-009"],
    "phone numbers": ["+31 6 1234 5678", "call +1 (555) 123-4567 now", "020 7946 0958"],
    "network addresses": ["192.168.100.12"],
    "national ids": ["078-05-1120", "QQ123456C".replace("Q", "A"), "RSSMRA85T10A562S", "12345678Z"],
}


@pytest.mark.parametrize(("kind", "text"), [(k, text) for k, ts in EXAMPLES.items() for text in ts])
def test_one_identifier_among_ordinary_values_is_found(kind, text):
    assert (kind, "table") in kinds([*COMMON, text])
    assert (kind, "schema") in kinds(COMMON, column(categories=("a", text)))


@pytest.mark.parametrize(
    "texts",
    [
        ["2016-05-01", "2016-05-02 10:30:00", "01/02/2016", "1.12.2020"],
        ["0-9999", "10000-24999", "25000-49999", "[0-10)", ">=100000"],
        ["250.83", "V45", "401.9", "I10.9", "E11.65"],
        ["0.12345678", "1.5e-10", "123456.789"],
        ["4111111111111112", "1234567812345678"],  # wrong check digits
        ["Physician Referral", "Emergency Room", "Transfer from a hospital"],
        ["Married-civ-spouse", "Never-married", "?"],
    ],
)
def test_ordinary_categories_are_left_alone(texts):
    assert kinds(texts * 30) == set()
    assert kinds(COMMON, column(categories=tuple(texts))) == set()


@given(st.integers(10**14, 10**15 - 1))
def test_luhn_accepts_one_check_digit_in_ten(number):
    number = 4 * 10**15 + number
    right = [digit for digit in range(10) if is_card_number(str(number - number % 10 + digit))]
    assert len(right) == 1


@given(st.integers(0, 96), st.integers(0, 10**18 - 1))
def test_an_iban_has_one_pair_of_check_digits(wrong, account):
    bare = int(f"{account:018d}131400")  # "DE" is 13 14
    check = 98 - bare % 97
    assert is_iban(f"DE{check:02d}{account:018d}")
    if wrong != check and wrong >= 2:
        assert not is_iban(f"DE{wrong:02d}{account:018d}")


@pytest.mark.parametrize(
    "heading",
    [
        "name",
        "Last Name",
        "first_name",
        "patientName",
        "PATIENT_ID",
        "patient_nbr",
        "MRN",
        "e-mail",
        "Phone number",
        "mobile",
        "home_address",
        "date of birth",
        "DOB",
        "SSN",
        "Social Security No",
        "IBAN",
        "account number",
        "geburtsdatum",
        "Nom",
        "license_number",
        "contact name",
    ],
)
def test_headings_that_announce_a_person(heading):
    assert names_a_person(heading)
    assert kinds(COMMON, column(heading)) == {("a personal detail", "heading")}


@pytest.mark.parametrize(
    "heading",
    [
        "age",
        "hospital_name",
        "drug",
        "admission_type_id",
        "num_lab_procedures",
        "marital-status",
        "number_inpatient",
        "native.country",
        "capital-gain",
        "diag_1",
        "max_glu_serum",
        "insurance",
        "first_diagnosis",
        "num_of_prev_attempts",
        "code_module",
        "tumour_id",
        "default payment",
    ],
)
def test_headings_that_do_not(heading):
    assert not names_a_person(heading)


def test_numbers_are_looked_at_by_heading_and_as_registers():
    numbers = IntegerColumn(name="phone", minimum=0, maximum=10)
    assert kinds(["1", "2"], numbers) == {("a personal detail", "heading")}
    rng = np.random.default_rng(0)
    register = [str(number) for number in rng.choice(9 * 10**8, 200, replace=False) + 10**8]
    plain = IntegerColumn(name="score", minimum=0, maximum=10**9)
    assert {kind for kind, _ in kinds(register, plain)} == {"long numbers, nearly all distinct,"}
    assert kinds([str(number) for number in range(200)], plain) == set()


def test_texts_of_their_own_and_free_text_are_found():
    own = [f"Jan{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(100)]
    assert kinds(own) == {("a text of its own for nearly every record", "table")}
    wordy = [f"the patient says that number {n} hurts a lot" for n in range(50)] * 3
    assert kinds(wordy) == {("free text", "table")}
    assert kinds(["a long label of a category, of a code list"] * 100 + COMMON) == set()


def test_small_and_empty_columns():
    assert kinds(["x"]) == set()
    assert kinds([None, None]) == set()
    labels = BooleanColumn(name="b", true="yes", false="no")
    assert kinds(["yes", "no"], labels) == set()


def test_no_finding_holds_a_value():
    texts = [f"ZZCANARY{n}@example.org" for n in range(60)]
    found = findings(column("mail", tuple(texts)), pd.Series(texts, dtype="str"))
    assert len(found) >= 3
    assert "ZZCANARY" not in " ".join(map(str, found)) + repr(found)


@pytest.mark.skipif(not DATA.is_dir(), reason="the public tables are not here")
@pytest.mark.parametrize("table", ["adult", "credit_default_taiwan", "heart_disease", "support2"])
def test_public_tables_hold_no_identifiers(table):
    frame = read_table(DATA / f"{table}.csv.gz")
    schema = draft_schema(frame, table)
    found = {c.name: [str(f) for f in findings(c, frame[c.name])] for c in schema.modelled}
    assert {name: why for name, why in found.items() if why} == {}


@pytest.mark.parametrize("part", ["a", "1", "w.", "-", "a@", "a@b.", "a:/", "+1", "1 ", "12-"])
def test_a_cell_of_a_hundred_thousand_letters_takes_no_time(part):
    """In proportion to its length: squared, this took minutes."""
    text = (part * 100_000)[:100_000] + "!"
    before = time.process_time()
    findings(column(), pd.Series([text], dtype="str"))
    assert time.process_time() - before < 2


@given(st.text(alphabet="a1._+-@:/ é", max_size=30))
def test_addresses_are_found_as_by_the_plain_expressions(text):
    mail, web = (re.compile(e) for e in (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", r"\w+://\S+"))
    assert PATTERNS[0].matches(text) == bool(mail.search(text))
    assert PATTERNS[1].matches(text) == bool(web.search(text))
