"""What all pages share: the page settings, the style sheet, the navigation. The script that Streamlit runs."""

from pathlib import Path

import streamlit as st

from pages.shell.account import account
from pages.shell.tab import tab

SHELL = Path(__file__).with_name("shell")
PLAYGROUND = "playground.py"

# An icon by name would be fetched from another server
st.set_page_config(page_title="Descent", page_icon=str(SHELL / "icon.svg"), layout="wide", initial_sidebar_state=340)
st.html(SHELL / "style.css")
page = st.navigation(
    [
        st.Page(PLAYGROUND, title="Playground", icon=":material/tune:", url_path="", default=True),
        st.Page("watch.py", title="Watch", icon=":material/visibility:", url_path="watch"),
        st.Page("experiments.py", title="Experiments", icon=":material/science:", url_path="experiments"),
        st.Page("runs.py", title="Runs", icon=":material/history:", url_path="runs"),
        st.Page("cases.py", title="Cases", icon=":material/auto_stories:", url_path="cases"),
        st.Page("exercises.py", title="Exercises", icon=":material/school:", url_path="exercises"),
        st.Page("glossary.py", title="Glossary", icon=":material/menu_book:", url_path="glossary"),
        st.Page("doctor.py", title="Doctor", icon=":material/stethoscope:", url_path="doctor"),
        # Streamlit gives the default page no path of its own, and /playground is a link that people write
        st.Page(PLAYGROUND, title="Playground", url_path="playground", visibility="hidden"),
    ]
)
tab().visit(page.title)
page.run()
account()
