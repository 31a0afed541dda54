-- A billion milliseconds.
os.sleep(1e9)
