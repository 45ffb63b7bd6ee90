import pytest

from rag.language import language_of


@pytest.mark.parametrize(
    "text",
    [
        "怎么安装",
        "好",
        "TeamGLM 怎么安装",
        "請問如何申請休假",  # traditional
        "2026 年 VPN 的密码",
        "𠀀𠀁",  # beyond the basic plane
        "报销上限是 30 EUR 吗",
    ],
)
def test_han_characters_make_a_text_chinese(text: str) -> None:
    assert language_of(text) == "zh"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "2026",
        "3.5 + 4?!",
        "How do I install it?",
        "What does 请假 mean in the handbook of our team here",
        "ＴｅａｍＧＬＭ",
        "Wie geht's, señor?",
    ],
)
def test_whatever_has_few_or_no_han_characters_is_english(text: str) -> None:
    assert language_of(text) == "en"
