"""Recognises headings of names, addresses, birth dates and persons' numbers, in seven languages."""

import re
import unicodedata


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_ALWAYS = word_set("""surname firstname lastname forename fullname maidenname username login
email mail phone telephone tel mobile fax street address ssn nin bsn nhs nhsnumber iban passport mrn
dob birthdate birthday cardnumber vin uuid guid
vorname nachname familienname geburtsdatum geburtstag telefon telefonnummer handy handynummer strasse
straße adresse anschrift versichertennummer krankenversichertennummer versicherungsnummer steuernummer
sozialversicherungsnummer ausweisnummer kontonummer
naam voornaam achternaam geboortedatum telefoonnummer burgerservicenummer
nom prenom adressepostale portable courriel datenaissance datedenaissance nir numerosecu
numerosecuritesociale
apellido apellidos nombre dni nie domicilio correo fechanacimiento fechadenacimiento
nome cognome indirizzo telefono cellulare codicefiscale tesserasanitaria datanascita datadinascita
luogonascita luogodinascita partitaiva""")
_WHOLE = word_set("name names postcode postalcode zipcode zip zipcodes plz")
_PERSONS = word_set("""first last full given family maiden middle patient person customer client
member subject citizen employee user holder mother father spouse doctor physician contact""")
_NUMBERS = word_set("id ids number no nr nbr num key identifier")
_COUNTS = word_set("num number n count total")
_KEYS = _NUMBERS - _COUNTS
_NUMBERED = _PERSONS | word_set("""national social security insurance tax account acct card licence
license record""")


def names_a_person(heading: str) -> bool:
    """Whether a heading announces a name, an address or a person's number.

    >>> [names_a_person(h) for h in ("Last Name", "patient_nbr", "e-mail", "dateOfBirth")]
    [True, True, True, True]
    >>> [names_a_person(h) for h in ("hospital_name", "admission_type_id", "num_lab_procedures")]
    [False, False, False]
    >>> [names_a_person(h) for h in ("number_customer_calls", "number of customer id")]
    [False, True]
    """
    words = _spelled(heading)
    if len(words) > 2 and words[0] in _COUNTS and not set(words) & _KEYS:
        words = words[1:]  # a number of things, and no person's number
    whole, parts = "".join(words), set(words)
    if parts & _ALWAYS or whole in _ALWAYS or whole in _WHOLE:
        return True
    if parts & {"name", "names"} and parts & _PERSONS:
        return True
    if parts & {"date", "day"} and parts & {"birth", "death"}:
        return True
    return bool(parts & _NUMBERS and parts & _NUMBERED)


def words_of(heading: str) -> frozenset[str]:
    """The words of a heading, in small letters and without accents."""
    return frozenset(_spelled(heading))


def _spelled(heading: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", heading)  # prénom, téléphone
    plain = "".join(mark for mark in plain if not unicodedata.combining(mark))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return [word.lower() for word in re.split(r"[\W_\d]+", spaced) if word]
