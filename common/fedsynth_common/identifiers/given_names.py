"""Whether a text holds a common given name beside another name: "Mario Rossi", "MÜLLER, Anna".

No pattern describes a name, so this module has a list: the given names that are most frequent in the
official birth statistics of English, Italian, German and French speaking countries, several generations
of them. A name by itself says nothing ("Rose", "Martin"): another capitalised word must stand beside
it, and the text may hold no more than four words. A name that is not listed is not found.
"""

import re
import unicodedata

_LISTED = """
james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony
mark donald steven paul andrew joshua kenneth kevin brian george edward ronald timothy jason jeffrey ryan
jacob gary nicholas eric jonathan stephen larry justin scott brandon benjamin samuel gregory alexander
patrick jack oliver harry noah liam ethan peter simon philip alan ian
mary patricia jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty sandra margaret
ashley kimberly emily donna michelle carol amanda melissa deborah stephanie rebecca sharon laura cynthia
dorothy amy kathleen angela shirley emma anna olivia sophia isabella charlotte amelia jane ann anne helen
alice julie claire victoria
giuseppe giovanni antonio mario luigi francesco angelo vincenzo pietro salvatore carlo franco domenico
bruno paolo michele giorgio aldo sergio luciano andrea marco alessandro matteo lorenzo gabriele leonardo
riccardo davide luca stefano roberto massimo fabio claudio simone federico
maria giuseppina rosa angela giovanna teresa lucia carmela caterina francesca antonietta carla elena
concetta rita margherita franca paola giulia chiara sara martina valentina alessia silvia federica elisa
alice giorgia sofia aurora ginevra beatrice roberta monica barbara
hans peter michael thomas andreas wolfgang klaus juergen jurgen gunter guenter stefan christian uwe
werner horst frank dieter manfred gerhard bernd heinz helmut heinrich karl friedrich fritz otto johannes
matthias martin markus sebastian tobias florian lukas felix maximilian jonas leon finn jan kai
ursula karin helga sabine ingrid renate monika susanne gisela petra birgit andrea claudia elisabeth erika
christa katharina johanna hannah lena lea marie anja heike angelika brigitte
jean pierre michel andre philippe rene louis alain jacques bernard marcel daniel roger robert paul claude
christian henri georges nicolas francois laurent julien pascal thierry olivier antoine hugo lucas gabriel
raphael mathieu guillaume
marie jeanne francoise monique catherine nathalie isabelle jacqueline anne sylvie martine madeleine
nicole suzanne helene christine louise denise valerie sandrine stephanie veronique sophie celine chantal
camille manon chloe juliette lea
"""
GIVEN_NAMES = frozenset(_LISTED.split())
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LISTED_TITLES = """dr prof mr mrs ms miss herr frau dott signor signora monsieur madame mme"""
_TITLES = frozenset(_LISTED_TITLES.split())


def holds_given_name(text: str) -> bool:
    """Whether two to four words, all capitalised, hold a listed given name and another word.

    >>> [holds_given_name(t) for t in ("Mario Rossi", "Müller, Jürgen", "Dr. Anna B. Schmidt")]
    [True, True, True]
    >>> [holds_given_name(t) for t in ("Rose", "rose bengal", "Physician Referral", "Hans-Peter")]
    [False, False, False, False]
    """
    words = [word for word in _WORD.findall(text) if word.lower() not in _TITLES]
    if not 2 <= len(words) <= 4 or not all(word[0].isupper() for word in words):
        return False
    return any(_plain(part) in GIVEN_NAMES for word in words for part in re.split("['’-]", word))


def _plain(word: str) -> str:
    marked = unicodedata.normalize("NFKD", word.lower())
    return "".join(mark for mark in marked if not unicodedata.combining(mark))
