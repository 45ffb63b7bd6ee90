"""Draw the scans and photos of tests/data/formats: text, as paper and cameras bring it.

    python bench/scans.py FONT OUT      FONT has Chinese characters, such as NotoSansCJK-Regular.ttc

Each picture stands beside a `.txt` of the same name with what can be read on it.
"""

# ruff: noqa: E501 - a paragraph is a line

from __future__ import annotations

import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

CHINESE = """差旅报销办法

第一条　为规范公司差旅费用的管理，保证出差人员工作与生活的需要，根据国家有关规定，结合公司实际情况，制定本办法。
第二条　本办法适用于公司全体正式员工，试用期员工与实习生参照执行。出差前须填写出差申请单，写明事由、地点、时间和预算，经部门负责人批准后方可出发。
第三条　住宿费按城市分级：一线城市每晚不超过六百元，二线城市每晚不超过四百五十元，其他城市每晚不超过三百五十元。超出部分由个人承担，确有特殊情况的，须事先书面说明。
第四条　市内交通费凭发票实报实销，每日上限一百二十元；自驾车出差按每公里一元二角补贴，过路费另行报销。
第五条　伙食补助每人每天一百元，由接待单位统一安排用餐的，不再发放。
第六条　出差结束后十个工作日内办理报销手续，逾期须由分管副总经理批准。票据遗失的，应当提供付款记录和情况说明。
附则　本办法由财务部负责解释，自二〇二六年九月一日起施行。"""

ENGLISH = """Laboratory rules

Nobody works alone in the laboratory after eight in the evening. Tell the person on duty, extension 4417, when you arrive and when you leave, and write both times in the book by the door.
Wear goggles and a closed coat wherever the floor is yellow. Gloves stay inside: take them off before you touch a telephone, a keyboard or a door handle.
Solvents are kept in the ventilated cabinet on the left. Write your name, the content and the date on every bottle; bottles without a label are thrown away on Fridays.
In case of fire press the red button, leave by the nearest stairs and meet at the bicycle racks behind building C. Do not use the lift, and do not go back for your things.
The technician, Mrs Okafor, orders glassware on the first Monday of each month. Requests that come later than noon wait for the next order."""


def page(text: str, font: Path, *, width: int, size: int) -> tuple[Image.Image, str]:
    """Return a page with a text, and the text as its lines have it."""
    drawn = ImageFont.truetype(str(font), size)
    lines = [line for paragraph in text.split("\n") for line in wrapped(paragraph, drawn, width)]
    height = int(len(lines) * size * 1.7) + 5 * size
    image = Image.new("L", (width + 6 * size, height), 255)
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text((3 * size, int((1.5 + 1.7 * number) * size)), line, font=drawn, fill=25)
    return image, text


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return the lines of a paragraph, broken at spaces where it has them."""
    lines, line = [], ""
    for piece in text.split(" ") if text.isascii() else text:
        longer = f"{line} {piece}" if line and text.isascii() else line + piece
        if font.getlength(longer) > width and line:
            lines.append(line)
            longer = piece
        line = longer
    return [*lines, line]


def worn(image: Image.Image, *, angle: float, blur: float, noise: int) -> Image.Image:
    """Return a page as a scanner or camera sees it: askew, soft and grainy."""
    chance = random.Random(6)  # noqa: S311 - the same grain every time
    image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=240)
    grain = Image.frombytes("L", image.size, chance.randbytes(image.width * image.height))
    grain = grain.point([128 + (level - 128) * noise // 128 for level in range(256)])
    return Image.blend(image.filter(ImageFilter.GaussianBlur(blur)), grain, 0.12)


def main(font: Path, out: Path) -> None:
    """Draw every picture into `out`."""
    zh, zh_text = page(CHINESE, font, width=1000, size=22)
    en, en_text = page(ENGLISH, font, width=1000, size=22)
    paper = zh.point(lambda level: 255 * (level > 140)).convert("1")
    sheet = en.point(lambda level: 255 * (level > 140)).convert("1")
    texts = {
        "scan-zh.pdf": f"{zh_text}\n{en_text}",
        "photo-zh.jpg": zh_text,
        "scan-zh.webp": zh_text,
    }
    texts |= {"scan-en.tif": en_text, "screen-en.png": en_text}
    paper.save(out / "scan-zh.pdf", resolution=150, save_all=True, append_images=[sheet])
    photo = worn(zh, angle=1.2, blur=0.7, noise=60)
    photo.save(out / "photo-zh.jpg", quality=45)
    zh.save(out / "scan-zh.webp", quality=30)
    sheet.save(out / "scan-en.tif", compression="group4")
    en.quantize(8).save(out / "screen-en.png", optimize=True)
    for name, text in texts.items():
        (out / f"{name}.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
