"""The comments that ask students for their code, in the languages of many courses.

says_here(line)    "# YOUR CODE HERE", "# VOTRE CODE ICI", "# Ваш код здесь", "# 你的代码"
edge_of(line)      "start" or "end" of a pair in another language than English
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

_MAX_CHARS = 120
"""A longer comment is an explanation."""
_EDGES = "\\s#=*:.>_!<()\\[\\]-"  # what decorates such a comment

_HERE = (
    # English
    r"((PUT|INSERT|WRITE|ADD|TYPE|ENTER|FILL IN|PLACE) )?(YOUR|YOU|MY) "
    r"(OWN )?(CODE|SOLUTION|ANSWER|IMPLEMENTATION)( (GOES |COMES )?(HERE|BELOW))?",
    r"(PUT|INSERT|WRITE|ADD|TYPE|ENTER) CODE HERE|CODE (GOES )?HERE",
    r"(FILL IN|FILL|COMPLETE|IMPLEMENT) (HERE|THIS|ME|THE CODE)( HERE)?|WRITE ME",
    # French
    r"((ECRIVEZ|ECRIRE|METTEZ|METTRE|INSEREZ|INSERER|AJOUTEZ|AJOUTER|ENTREZ|TAPEZ|COMPLETEZ)"
    r" (ICI )?)?(VOTRE|TON) (CODE|SOLUTION|REPONSE)( ICI)?",
    r"(A|CODE A) COMPLETER( ICI)?|COMPLETE[RZ]( ICI| LE CODE)?|CODE A ECRIRE( ICI)?",
    # Spanish
    r"((ESCRIBE|ESCRIBA|ESCRIBIR|INSERTE|INSERTA|INGRESE|INGRESA|AGREGUE|AGREGA|PON|PONGA|COLOCA)"
    r" (AQUI )?)?(TU|SU) (CODIGO|SOLUCION|RESPUESTA)( (VA )?(AQUI|ACA))?",
    r"(POR )?COMPLETAR( (AQUI|ACA|EL CODIGO))?|CODIGO AQUI",
    # Portuguese
    r"((ESCREVA|INSIRA|COLOQUE|DIGITE|ADICIONE|IMPLEMENTE) (AQUI )?(O )?)?(SEU|TEU) "
    r"(CODIGO|RESPOSTA)( AQUI)?",
    r"COMPLETE (AQUI|O CODIGO)",
    # Italian
    r"((SCRIVI|SCRIVETE|INSERISCI|INSERITE|AGGIUNGI) (QUI )?)?(IL )?(TUO|VOSTRO) CODICE( QUI)?",
    r"DA COMPLETARE|COMPLETARE( QUI)?",
    # German, Dutch
    r"(HIER )?(BITTE )?(IHR|IHREN|DEIN|DEINEN|EUER|EUREN|EIGENEN) CODE"
    r"( (HIER|EINFUGEN|EINFUEGEN|ERGANZEN|ERGAENZEN|SCHREIBEN))*",
    r"(HIER )?(CODE )?(BITTE )?(EINFUGEN|EINFUEGEN|ERGANZEN|ERGAENZEN)",
    r"(SCHRIJF |VUL )?(HIER )?(JE|JOUW|UW) (EIGEN )?CODE( HIER)?( IN)?",
    # Polish, Turkish
    r"(TU |TUTAJ )?(WPISZ |WSTAW |NAPISZ )?(TWOJ|SWOJ) KOD( TUTAJ| TU)?",
    r"KODUNUZU? (BURAYA|BURADA)( YAZIN| YAZINIZ)?|BURAYA KODUNUZU YAZIN(IZ)?",
    # Russian, Ukrainian
    r"((НАПИШИТЕ|НАПИШИ|ВСТАВЬТЕ|ДОПИШИТЕ|ДОБАВЬТЕ) (ЗДЕСЬ )?)?(ВАШ|СВОИ|ТВОИ) КОД"
    r"( (ЗДЕСЬ|ТУТ|НИЖЕ))?",
    r"КОД (ЗДЕСЬ|ТУТ)|ЗДЕСЬ (ВАШ|ДОЛЖЕН БЫТЬ ВАШ) КОД",
    # Chinese, Japanese, Korean
    r"(请)?(在)?(此处|这里|此|下面|下方)?(填写|编写|写下|写入|输入|补全|添加|完成|实现|写)?(你|您)的?代码"
    r"(写在)?(这里|此处|在此)?",
    r"(请)?(在)?(此处|这里|此)(填写|编写|写下|写入|输入|补全|添加|完成|实现|写)(你|您)?的?代码",
    r"(ここに|以下に)(あなたの)?(コード|解答|処理)を?(書いて|記述|書く|記入|追加|実装)"
    r"(してください|する|ください|して)?",
    r"(여기에|이곳에) ?(코드를?|답을) ?(작성|입력)(하세요|하시오|해주세요)?",
)
_START = (
    r"(DEBUT|COMMENCEMENT) (DE|DU) (VOTRE |TON )?CODE|COMMENCEZ (VOTRE )?CODE( ICI)?",
    r"(INICIO|COMIENZO|EMPIEZA|COMIENZA|INICIA|COMECO|INICIE|COMECE)( (DE|DO|DEL|AQUI))?"
    r"( O)? ?(TU|SU|SEU|TEU|EL)? ?CODIGO( AQUI)?",
    r"(HIER )?(BEGINN|ANFANG|START)( (DES|IHRES|DEINES))? (CODES?|LOSUNG)",
    r"INIZIO (DEL )?(TUO )?CODICE",
    r"НАЧАЛО (ВАШЕГО |ТВОЕГО )?КОДА|НАЧНИТЕ КОД( ЗДЕСЬ)?",
    r"(代码|你的代码|您的代码|编码)(开始|由此开始|从这里开始)|(在)?(这里|此处)?开始(编写)?(你的)?代码",
)
_END = (
    r"FIN (DE|DU) (VOTRE |TON )?CODE|FIN CODE",
    r"(FIN|FINAL|TERMINA|ACABA|FIM|TERMINE|FINALIZA)( (DE|DO|DEL|AQUI))?( O)?"
    r" ?(TU|SU|SEU|TEU|EL)? ?CODIGO( AQUI)?",
    r"(HIER )?ENDE( (DES|IHRES|DEINES))? (CODES?|LOSUNG)|FINE (DEL )?(TUO )?CODICE",
    r"КОНЕЦ (ВАШЕГО |ТВОЕГО )?КОДА|ЗАКОНЧИТЕ КОД( ЗДЕСЬ)?",
    r"(代码|你的代码|您的代码|编码)(结束|到此结束|在这里结束)|(在)?(这里|此处)?结束(编写)?(你的)?代码",
)


def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


_HERES, _STARTS, _ENDS = _any(_HERE), _any(_START), _any(_END)


def says_here(line: str) -> bool:
    """Return whether a line is a comment that asks for the student's code, and nothing else."""
    return bool((words := _words(line)) and _HERES.fullmatch(words))


def edge_of(line: str) -> Literal["start", "end"] | None:
    """Return whether a comment opens or closes a gap in another language than English."""
    words = _words(line)
    if not words or (words.isascii() and "COD" not in words):
        return None
    if _STARTS.fullmatch(words):
        return "start"
    return "end" if _ENDS.fullmatch(words) else None


def _words(line: str) -> str:
    """Return a comment's words, in capitals and without accents; "" for any other line."""
    text = line.strip()
    if not text.startswith("#") or len(text) > _MAX_CHARS:
        return ""
    text = re.sub(rf"^[{_EDGES}]+|[{_EDGES}]+$", "", text)
    text = re.sub(r"^(TODO|TAREA|ЗАДАНИЕ)\s*\d*\s*[:.-]?\s+", "", text, flags=re.IGNORECASE)
    if text.isascii():
        return " ".join(text.upper().split())
    decomposed = unicodedata.normalize("NFD", text.upper())
    plain = re.sub("[\u0300-\u036f]", "", decomposed)  # not the voiced sounds of Japanese
    return " ".join(unicodedata.normalize("NFC", plain).split())
