import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.facts import Number, names, negated, numbers


def values(text: str, *, certain: bool = False) -> list[str]:
    return [number.value for number in numbers(text, certain=certain)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("300", "三百"),
        ("30,000", "30000"),
        ("3万", "30,000"),
        ("3.5万", "35000"),
        ("1.2 million", "1200000"),
        ("二十五天", "25 days"),
        ("twenty-five days", "25天"),
        ("three hundred and five", "305"),
        ("一千零二十", "1020"),
        ("两万三千", "23000"),
        ("十八个月", "18 months"),
        ("二〇二四年", "2024"),
        ("25%", "25 percent"),
        ("百分之二十五", "25%"),
        ("2024-03-05", "2024年3月5日"),
        ("5 March 2024", "2024年3月5日"),
        ("on Monday", "星期一"),
        ("周日", "Sunday"),
        ("22:05", "22:05"),
        ("3 pm", "15:00"),
        ("7:45", "7点45分钟"),
        ("ninety", "90"),
        ("１４０", "140"),
        ("EUR 140", "140欧元"),
        ("￥85", "85元"),
        ("第三", "3rd"),
    ],
)
def test_a_number_is_the_same_however_it_is_written(one: str, other: str) -> None:
    left = sorted(numbers(one), key=lambda number: number.value)
    right = sorted(numbers(other), key=lambda number: number.value)
    assert left
    assert len(left) == len(right)
    for first, second in zip(left, right, strict=True):
        assert first.agrees(second), (left, right)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("25 days", "25 weeks"),
        ("25 days", "26 days"),
        ("3个月", "3月"),
        ("EUR 140", "USD 140"),
        ("25%", "25 km"),
        ("300", "3000"),
        ("三百", "三千"),
        ("4 kg", "4 g"),
        ("3天", "3周"),
    ],
)
def test_another_number_or_unit_does_not_agree(one: str, other: str) -> None:
    (left,), (right,) = numbers(one), numbers(other)
    assert not left.agrees(right)
    assert not right.agrees(left)


def test_a_number_without_a_unit_agrees_with_one_that_has_it() -> None:
    assert Number("25").agrees(Number("25", "day"))


@pytest.mark.parametrize(
    "text",
    ["one of them", "十分重要", "万一迟到", "千万别忘", "一样", "use form K-77 and IPv6", "三"],
)
def test_figures_of_speech_and_codes_are_no_certain_numbers(text: str) -> None:
    assert values(text, certain=True) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The bridge was designed by Ida Lorne.", {"ida", "lorne"}),
        ("Ask Bob. Then call HR at noon.", {"bob", "hr"}),
        ("Petra Dusk's violins", {"dusk"}),
        ("Use form K-77 or PP-OCRv6.", {"k-77", "pp-ocrv6"}),
        ("用 TeamGLM2 提交 VPN 申请。", {"teamglm2", "vpn"}),
        ("The first one is on Monday.", set()),
        ("年假二十五天。", set()),
    ],
)
def test_names_are_capitalised_words_and_codes(text: str, found: set[str]) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Drinks aren't paid.",
        "Nobody may enter.",
        "不报销酒水。",
        "没有押金",
        "禁止吸烟",
        "without a badge",
    ],
)
def test_what_is_denied_is_negated(text: str) -> None:
    assert negated(text)


@pytest.mark.parametrize(
    "text",
    [
        "Drinks are paid.",
        "no more than 30 euros",
        "Not only drinks are paid.",
        "不超过三十欧元",
        "不同部门分别申请",
        "非常重要",
        "无线网络",
        "notice",
    ],
)
def test_what_only_sounds_like_it_is_not(text: str) -> None:
    assert not negated(text)


@given(st.text(alphabet="一二三十百千万亿两零〇点0123456789.,:- 年月日%apmMay百分之", max_size=20))
def test_any_text_has_its_numbers(text: str) -> None:
    assert all(number.value for number in numbers(text))
    assert len(numbers(text, certain=True)) <= len(numbers(text))


@given(st.integers(0, 99_999_999))
def test_a_whole_number_is_found_as_it_is(value: int) -> None:
    assert values(f"There are {value} of them") == [str(value)]
    assert values(f"There are {value:,} of them") == [str(value)]
