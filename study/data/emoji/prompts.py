"""The questions' own words. Add a language by adding an entry: nothing else knows the list.

Every prompt ends in a colon and the option follows it in its dictionary form, so no name is inflected.
Where "how many" would agree with the noun, the prompt is the word for "number" or "quantity".
Written for this project and not reviewed by native speakers of all languages. Māori and Cusco Quechua are
left out: we could not vouch for the wording.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompts:
    """In the picture; two things in the picture; from left to right; how many."""

    what: str
    pair: str
    order: str
    count: str


LEFT_OUT = {"mi": "wording not vouched for", "quz": "wording not vouched for"}

PROMPTS: dict[str, Prompts] = {
    "ar": Prompts("في الصورة:", "شيئان في الصورة:", "من اليسار إلى اليمين:", "العدد:"),
    "bn": Prompts("ছবিতে:", "ছবিতে দুটি জিনিস:", "বাম থেকে ডানে:", "সংখ্যা:"),
    "cs": Prompts("Na obrázku:", "Dvě věci na obrázku:", "Zleva doprava:", "Kolik:"),
    "da": Prompts("På billedet:", "To ting på billedet:", "Fra venstre mod højre:", "Hvor mange:"),
    "de": Prompts("Auf dem Bild:", "Zwei Dinge auf dem Bild:", "Von links nach rechts:", "Wie viele:"),
    "el": Prompts("Στην εικόνα:", "Δύο πράγματα στην εικόνα:", "Από αριστερά προς τα δεξιά:", "Αριθμός:"),
    "en": Prompts("In the picture:", "Two things in the picture:", "From left to right:", "How many:"),
    "es": Prompts("En la imagen:", "Dos cosas en la imagen:", "De izquierda a derecha:", "Cantidad:"),
    "fa": Prompts("در تصویر:", "دو چیز در تصویر:", "از چپ به راست:", "تعداد:"),
    "fi": Prompts("Kuvassa:", "Kaksi asiaa kuvassa:", "Vasemmalta oikealle:", "Lukumäärä:"),
    "fil": Prompts("Sa larawan:", "Dalawang bagay sa larawan:", "Mula kaliwa pakanan:", "Bilang:"),
    "fr": Prompts("Sur l’image :", "Deux choses sur l’image :", "De gauche à droite :", "Combien :"),
    "he": Prompts("בתמונה:", "שני דברים בתמונה:", "משמאל לימין:", "כמה:"),
    "hi": Prompts("तस्वीर में:", "तस्वीर में दो चीज़ें:", "बाएँ से दाएँ:", "संख्या:"),
    "hr": Prompts("Na slici:", "Dvije stvari na slici:", "Slijeva nadesno:", "Koliko:"),
    "hu": Prompts("A képen:", "Két dolog a képen:", "Balról jobbra:", "Hány darab:"),
    "id": Prompts("Dalam gambar:", "Dua hal dalam gambar:", "Dari kiri ke kanan:", "Jumlah:"),
    "it": Prompts("Nell’immagine:", "Due cose nell’immagine:", "Da sinistra a destra:", "Quantità:"),
    "ja": Prompts("画像の中：", "画像の中の二つ：", "左から右へ：", "いくつ："),
    "ko": Prompts("그림 속:", "그림 속 두 가지:", "왼쪽에서 오른쪽으로:", "몇 개:"),
    "nl": Prompts("Op de afbeelding:", "Twee dingen op de afbeelding:", "Van links naar rechts:", "Hoeveel:"),
    "no": Prompts("På bildet:", "To ting på bildet:", "Fra venstre til høyre:", "Hvor mange:"),
    "pl": Prompts("Na obrazku:", "Dwie rzeczy na obrazku:", "Od lewej do prawej:", "Ile:"),
    "pt": Prompts("Na imagem:", "Duas coisas na imagem:", "Da esquerda para a direita:", "Quantidade:"),
    "ro": Prompts("În imagine:", "Două lucruri în imagine:", "De la stânga la dreapta:", "Număr:"),
    "ru": Prompts("На картинке:", "Две вещи на картинке:", "Слева направо:", "Сколько:"),
    "sv": Prompts("På bilden:", "Två saker på bilden:", "Från vänster till höger:", "Hur många:"),
    "sw": Prompts("Kwenye picha:", "Vitu viwili kwenye picha:", "Kutoka kushoto kwenda kulia:", "Idadi:"),
    "te": Prompts("చిత్రంలో:", "చిత్రంలో రెండు వస్తువులు:", "ఎడమ నుండి కుడికి:", "సంఖ్య:"),
    "th": Prompts("ในภาพ:", "สองสิ่งในภาพ:", "จากซ้ายไปขวา:", "จำนวน:"),
    "tr": Prompts("Resimde:", "Resimdeki iki şey:", "Soldan sağa:", "Kaç tane:"),
    "uk": Prompts("На малюнку:", "Дві речі на малюнку:", "Зліва направо:", "Скільки:"),
    "vi": Prompts("Trong hình:", "Hai thứ trong hình:", "Từ trái sang phải:", "Số lượng:"),
    "zh": Prompts("图中：", "图中的两样东西：", "从左到右：", "数量："),
}
